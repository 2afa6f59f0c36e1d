"""Files on disk <-> scenes and trials: who is annotated where, and which searches a benchmark makes."""
