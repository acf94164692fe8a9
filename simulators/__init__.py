"""Simulators of the cloud vendors on loopback: their wire protocols and their failures."""
