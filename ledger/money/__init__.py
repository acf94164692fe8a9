"""Money: vendor prices, the daily budget, a call's worst-case cost, and spend settlement."""
