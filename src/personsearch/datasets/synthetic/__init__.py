"""Generated scenes: a procedural renderer of people in streets and halls, with annotation."""
