"""A fake NVIDIA driver library in C; `build` compiles it and writes what it answers."""
