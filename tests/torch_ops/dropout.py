"""What PyTorch has of dropout."""

TORCH = {}
WITHOUT = {
    "dropout": "its masks come from its own generator",
    "drop_path": "no such function, and masks come from its own generator",
}
