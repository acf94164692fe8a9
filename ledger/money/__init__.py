"""Money: prices, the day's budget, what one call can cost at worst, and its settlement."""
