"""What keeps the house in shape: import contracts, knowledge files, fitness of the code."""
