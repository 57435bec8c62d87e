"""What the script `ecosystem` runs: clusters, their clients, and a file for each part."""
