"""Reads narrowmac's run and sweep directories and draws them."""
