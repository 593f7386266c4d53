"""What specialists look through: a face clip in, a 3 x 224 x 224 array out. No learning."""
