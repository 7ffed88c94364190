"""Who asks, and what they may: tokens, scopes, and the restrictions that follow from both.

Spec: IHE ITI TF-1:34 (IUA), SMART App Launch 2.2, RFC 6750.
"""
