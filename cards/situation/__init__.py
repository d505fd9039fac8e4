"""Questions that several rules ask about a patient's situation: when cells are collected, what is planned, who is fit.

Each is answered in three values with its evidence; the rules decide what follows. The numbers come from the rules.
"""
