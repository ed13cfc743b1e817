"""Who is calling: JSON Web Tokens, the keys that verify them, and tokens used before."""
