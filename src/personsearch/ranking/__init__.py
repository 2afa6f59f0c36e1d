"""Who is most alike: similarities, exact order, context, and what a similarity is worth."""
