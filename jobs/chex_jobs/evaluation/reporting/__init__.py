"""What results become before they are passed on: sentences, tables, the patient flow, small cells taken out."""
