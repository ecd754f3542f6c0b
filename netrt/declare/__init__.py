"""What `netrt apply` is asked for in a file, what is there, and the steps between them (pure).

A file becomes a Wish (`ours`, `compose`), what the daemon shows becomes a Present, `plan` compares the two, and what it yields is
done by the verbs of the client. Nothing of a file is remembered but a label, so the next apply starts from what there is."""
