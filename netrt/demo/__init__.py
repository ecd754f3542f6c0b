"""`make demo`: a three-tier web application in a host of its own, and the proof of who reaches whom."""
