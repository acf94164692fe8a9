"""Other voice frameworks, with the same scripted vendors, to compare Viva with.

``make install-bench`` installs them.
"""
