package org.tfyolo.demo.ui

import android.os.Build
import android.view.View
import android.view.Window
import android.view.WindowInsets

/** Drawing from edge to edge: the image lies under the system's bars, and what is touched does not. */
object Insets {
    /** @param apply gets what the system's bars and cut-outs take at left, top, right and bottom, in pixels. */
    fun edgeToEdge(window: Window, root: View, apply: (Int, Int, Int, Int) -> Unit) {
        // From Android 15 on the system does it by itself.
        @Suppress("DEPRECATION")
        if (Build.VERSION.SDK_INT in Build.VERSION_CODES.R..Build.VERSION_CODES.UPSIDE_DOWN_CAKE) {
            window.setDecorFitsSystemWindows(false)
        } else if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) {
            root.systemUiVisibility = root.systemUiVisibility or View.SYSTEM_UI_FLAG_LAYOUT_STABLE or
                View.SYSTEM_UI_FLAG_LAYOUT_FULLSCREEN or View.SYSTEM_UI_FLAG_LAYOUT_HIDE_NAVIGATION
        }
        root.setOnApplyWindowInsetsListener { _, insets ->
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
                val bars = insets.getInsets(WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout())
                apply(bars.left, bars.top, bars.right, bars.bottom)
            } else {
                @Suppress("DEPRECATION")
                apply(insets.systemWindowInsetLeft, insets.systemWindowInsetTop, insets.systemWindowInsetRight, insets.systemWindowInsetBottom)
            }
            insets
        }
    }
}
