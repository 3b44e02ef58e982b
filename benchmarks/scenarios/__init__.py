"""What is compared: one file each, with SCENARIOS. A new file here is a new scenario."""
