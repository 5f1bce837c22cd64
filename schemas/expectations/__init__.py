"""Great Expectations: the rules of the publish gate (``gate.py``) and how they are evaluated (``evaluate.py``)."""
