package org.tfyolo.detector

/**
 * Thrown for a file that cannot be used as a model. The message says what was expected, what was found, and what to do.
 *
 * @property problem the kind of problem, for apps that show their own messages.
 */
public class ModelException(
    public val problem: Problem,
    message: String,
    cause: Throwable? = null,
) : Exception(message, cause) {
    /** Kinds of problems. */
    public enum class Problem {
        /** The file cannot be opened or read. */
        UNREADABLE,

        /** The file is not a TensorFlow Lite model, or is damaged. */
        NOT_TFLITE,

        /** The metadata is missing or damaged. */
        NO_DESCRIPTION,

        /** The model's task is not supported, or not that of the class. */
        WRONG_TASK,

        /** Inputs or outputs are not those of the task, or do not match the metadata. */
        DOES_NOT_FIT,

        /** The file is too large to load. */
        TOO_LARGE,
    }
}
