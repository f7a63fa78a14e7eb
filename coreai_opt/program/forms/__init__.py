"""How a compressed weight is stored in a program: one module for each form."""
