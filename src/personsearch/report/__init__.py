"""What people look at: pages, contact sheets and plots, made from result types alone."""
