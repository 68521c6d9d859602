"""Who goes next, and where. Bodies never pass through here."""
