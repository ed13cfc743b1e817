"""What is delivered beside our own code: licenses, known weaknesses, and scripts of others."""
