"""What the pair pays for security: policies, tokens and handshakes."""
