"""The paper's experimental section on any data set: stages that leave raw results, and a report made of them."""
