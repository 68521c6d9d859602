"""How ingress and router agree on slots: messages, and the two sides' books. No Ray and no asyncio in here."""
