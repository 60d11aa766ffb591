"""What takes minutes: hundreds of kills, a hundred thousand random steps."""
