"""Simulators of the cloud vendors, on loopback: their protocols, and what goes wrong in them."""
