"""Where jobs run: instances, their containers, and what goes in and out of them."""
