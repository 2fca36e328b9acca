"""What meter is measured against, and the programs that are measured in a process of their own."""
