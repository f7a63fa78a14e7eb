"""What can be asked for: enums, settings, rules, and the checks of them."""
