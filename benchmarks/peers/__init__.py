"""What people would use instead, with the same scripted vendors."""
