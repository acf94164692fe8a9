"""How fast and how right Viva is, beside what people would use instead."""
