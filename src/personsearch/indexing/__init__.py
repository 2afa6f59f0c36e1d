"""Media into a gallery: who is in these pictures?"""
