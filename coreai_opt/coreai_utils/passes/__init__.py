"""The functions that change whole programs, where Apple's package has them."""
