"""How the demo's pictures are made: grounds to stand on, recipes that combine, encoders that write."""
