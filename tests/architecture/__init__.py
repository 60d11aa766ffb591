"""What must hold of the code as a whole: imports, sizes, documentation."""
