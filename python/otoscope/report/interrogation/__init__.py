"""Report of an interrogation: page, sentences of the verdict, dose curves."""
