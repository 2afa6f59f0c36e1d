"""The network: proposes people in a whole picture and describes each of them, in one pass."""
