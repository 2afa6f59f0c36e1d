"""What the network is punished for, one file a loss."""
