"""Make the blurred labels. Imports: value_transform."""
