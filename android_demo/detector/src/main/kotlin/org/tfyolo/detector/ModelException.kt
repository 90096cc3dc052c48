package org.tfyolo.detector

/**
 * A file that is no detector of this kind. The message says what was expected, what was found, and what to do.
 *
 * @property problem what kind of trouble, for messages of one's own.
 */
public class ModelException(
    public val problem: Problem,
    message: String,
    cause: Throwable? = null,
) : Exception(message, cause) {
    public enum class Problem {
        /** It cannot be opened or read to its end. */
        UNREADABLE,

        /** It is no TensorFlow Lite model, or a damaged one. */
        NOT_TFLITE,

        /** It does not say what it detects. */
        NO_DESCRIPTION,

        /** It does something else than detection. */
        WRONG_TASK,

        /** Its inputs or outputs are not those of a detector, or not those that it describes. */
        DOES_NOT_FIT,

        /** It is larger than what can be loaded. */
        TOO_LARGE,
    }
}
