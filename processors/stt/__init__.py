"""Speech to text: the recognisers, and failover between them."""
