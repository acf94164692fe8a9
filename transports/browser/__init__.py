"""The browser's transport: one WebSocket, its messages, and the paced voice."""
