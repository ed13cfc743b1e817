"""Who is calling: JSON Web Tokens, the keys they are checked with, and tokens that were used before."""
