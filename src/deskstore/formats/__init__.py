"""What comes in and goes out: JSON, the shapes of the platforms, and the files that hold many records."""
