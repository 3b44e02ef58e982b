"""What is compared: one file each, with a SCENARIO. A new file here is a new scenario."""
