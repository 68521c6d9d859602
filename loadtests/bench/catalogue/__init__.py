"""What a large catalogue costs: start-up, memory, and how long a key and its policies take to find."""
