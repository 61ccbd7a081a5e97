"""What is handed out, wheel and source distribution, looked at from outside and used in empty environments."""
