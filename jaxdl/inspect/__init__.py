"""Looking into models and programs: layer tables, multiply-adds, memory."""
